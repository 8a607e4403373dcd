"""Inputs are checked against the classes of the installed `pulumi_aws`, for every resource type that has a stand-in."""

from __future__ import annotations

import importlib
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pulumi._types import input_type_py_to_pulumi_names, resource_types

from sandbox.providers.aws import AwsProvider
from sandbox.providers.kinds import Kind
from sandbox.providers.schema import (
    Anything,
    ListOf,
    MapOf,
    Object,
    OneOf,
    Scalar,
    Shape,
    check_properties,
    fields,
    load_args,
)
from sandbox.values import UNKNOWN, Properties

PROVIDER = AwsProvider()
KINDS = list(PROVIDER.kinds.values())
EXPECTED_TYPES = {
    "aws:iam/accessKey:AccessKey",
    "aws:iam/user:User",
    "aws:iam/userPolicy:UserPolicy",
    "aws:s3/bucket:Bucket",
    "aws:s3/bucketCorsConfiguration:BucketCorsConfiguration",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "aws:s3/bucketLogging:BucketLogging",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    "aws:s3/bucketPolicy:BucketPolicy",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:s3/bucketVersioning:BucketVersioning",
}
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type_.split(":")[-1])


def resource_class(kind: Kind) -> type:
    """The class that a program declares such a resource with."""
    found: type = getattr(importlib.import_module(kind.args.split(":")[0]), kind.type_.split(":")[-1])
    return found


def strategy(shape: Shape) -> st.SearchStrategy[Any]:
    """Values of the shape."""
    match shape:
        case Scalar(type=scalar):
            plain: dict[type, st.SearchStrategy[Any]] = {
                str: st.text(),
                bool: st.booleans(),
                int: st.integers(-(2**40), 2**40),
                float: st.floats(allow_nan=False),
            }
            return plain[scalar]
        case ListOf(element=element):
            return st.lists(strategy(element), max_size=2)
        case MapOf(element=element):
            return st.dictionaries(st.text(), strategy(element), max_size=2)
        case Object(args=args):
            return objects(args)
        case OneOf(choices=choices):
            return st.one_of([strategy(choice) for choice in choices])
        case Anything():
            return st.just({})


def objects(args: type) -> st.SearchStrategy[Properties]:
    """Values of the input class, with all that it requires."""
    drawn = {name: later(field.shape) for name, field in fields(args).items()}
    required = {name for name, field in fields(args).items() if field.required}
    return st.fixed_dictionaries(
        {name: values for name, values in drawn.items() if name in required},
        optional={name: values for name, values in drawn.items() if name not in required},
    )


def later(shape: Shape) -> st.SearchStrategy[Any]:
    """The strategy, made when it is first drawn from: input classes nest deeply."""
    return st.deferred(lambda: strategy(shape))


def test_types_are_the_twelve_that_the_component_declares() -> None:
    """No type less, no type more."""
    assert {kind.type_ for kind in KINDS} == EXPECTED_TYPES


@each_kind
def test_type_is_the_one_that_the_installed_class_registers(kind: Kind) -> None:
    """Type and class belong together: the class registers itself under this type."""
    source = importlib.import_module(kind.args.split(":")[0]).__file__
    assert source is not None
    with open(source, encoding="utf-8") as file:
        assert re.search(rf"super\(.*\).__init__\(\s*'{re.escape(kind.type_)}'", file.read())


@each_kind
def test_names_are_those_of_the_installed_class(kind: Kind) -> None:
    """The check knows exactly the inputs that the installed class has, whatever the kind itself names."""
    args = load_args(kind.args)
    assert set(fields(args)) == set(input_type_py_to_pulumi_names(args).values())
    named = {*kind.replace_on, *kind.unobserved, *kind.unsupported, *kind.rules.json, *kind.rules.defaults}
    named |= {path.split("[")[0] for path in kind.rules.sets}
    named |= {kind.auto_name.property} if kind.auto_name else set()
    assert named - {"expectedBucketOwner", "region"} <= set(fields(args))


@each_kind
def test_outputs_are_those_of_the_installed_class(kind: Kind) -> None:
    """What a kind says the cloud computes is an output of the class."""
    outputs = set(resource_types(resource_class(kind)))
    assert {*kind.computed, *kind.secret_outputs} <= outputs


@each_kind
def test_set_paths_lead_to_lists(kind: Kind) -> None:
    """A list compared without regard to order exists, down to its element."""
    for path in kind.rules.sets:
        shape: Shape = Object(load_args(kind.args))
        for part in path.split("."):
            assert isinstance(shape, Object)
            shape = fields(shape.args)[part.removesuffix("[]")].shape
            if part.endswith("[]"):
                assert isinstance(shape, ListOf)
                shape = shape.element
        assert isinstance(shape, ListOf)


@each_kind
@settings(max_examples=30)
@given(data=st.data())
def test_check_accepts_whatever_fits_the_class(kind: Kind, data: st.DataObject) -> None:
    """Inputs drawn from the class' own annotations pass, and come back as they were."""
    inputs = data.draw(objects(load_args(kind.args)))
    checked, failures = check_properties(load_args(kind.args), inputs)
    assert failures == []
    assert checked == inputs


@each_kind
def test_check_refuses_an_unknown_property(kind: Kind) -> None:
    """A name that the class lacks is an error that lists the names it has."""
    result = PROVIDER.check(kind.type_, "x", None, {"bukcet": "b"})
    failure = next(f for f in result.failures if f.property == "bukcet")
    assert all(name in failure.reason for name in fields(load_args(kind.args)))


@each_kind
def test_check_refuses_a_wrong_type_for_each_property(kind: Kind) -> None:
    """A value of another type is refused under its own name, and the value itself, maybe a secret, is not told."""
    for name, field in fields(load_args(kind.args)).items():
        if not isinstance(field.shape, OneOf):
            wrong = "s3cret-value" if field.shape != Scalar(str) else ["s3cret-value"]
            failures = PROVIDER.check(kind.type_, "x", None, {name: wrong}).failures
            found = [f for f in failures if f.property == name]
            assert found, name
            assert not any("s3cret-value" in f.reason for f in failures)


@each_kind
def test_check_refuses_a_missing_required_property(kind: Kind) -> None:
    """What the class requires and the kind does not name by itself is demanded by name."""
    required = {name for name, field in fields(load_args(kind.args)).items() if field.required}
    failures = {f.property for f in PROVIDER.check(kind.type_, "x", None, {}).failures}
    assert required <= failures


def test_check_looks_into_nested_values() -> None:
    """A fault deep inside is told by its whole path."""
    rules = [{"allowedMethods": ["GET", 7], "allowedOrigins": ["*"], "maxAge": 1, "maxAgeSeconds": True}]
    type_ = "aws:s3/bucketCorsConfiguration:BucketCorsConfiguration"
    failures = PROVIDER.check(type_, "x", None, {"bucket": "b", "corsRules": rules}).failures
    found = {f.property for f in failures}
    assert found == {"corsRules[0].maxAge", "corsRules[0].allowedMethods[1]", "corsRules[0].maxAgeSeconds"}


def test_check_takes_unknown_values_and_leaves_out_nulls() -> None:
    """A preview has values that are not known yet; null is the same as absent."""
    type_ = "aws:s3/bucketVersioning:BucketVersioning"
    inputs = {"bucket": UNKNOWN, "mfa": None, "versioningConfiguration": {"status": UNKNOWN}}
    result = PROVIDER.check(type_, "x", None, inputs)
    assert list(result.failures) == []
    assert result.inputs == {"bucket": UNKNOWN, "versioningConfiguration": {"status": UNKNOWN}}


@given(st.integers(0, 10**6))
def test_whole_numbers_become_integers(days: int) -> None:
    """The wire knows only floating point: 7.0 is the integer 7, 7.5 is none."""
    type_ = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"

    def check(value: float) -> tuple[Any, set[str]]:
        rule = {"id": "a", "status": "Enabled", "expiration": {"days": value}}
        result = PROVIDER.check(type_, "x", None, {"bucket": "b", "rules": [rule]})
        return result.inputs["rules"][0]["expiration"]["days"], {f.property for f in result.failures}

    value, failures = check(float(days + 1))
    assert isinstance(value, int)
    assert failures == set()
    assert check(days + 0.5)[1] == {"rules[0].expiration.days"}
