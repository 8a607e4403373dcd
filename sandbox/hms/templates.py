"""`/templates`: list, get, create, overwrite, settings, recording configurations.

Sources: 100ms' pages "List all templates", "Create template via API", "Update a template" (overwrites all fields),
"Retrieve settings", "Update settings", "Configure recordings". The settings page does not say whether its POST merges
or replaces: it replaces here, which is the worse case for a client.
"""

from __future__ import annotations

from typing import Any, Final

from sandbox.hms.http import Json, Refusal, Request, Routes, check_types, not_found, page
from sandbox.hms.state import State, new_id, now, public
from sandbox.hms.storage import checked_upload

_REGIONS: Final = ("in", "us", "eu", "auto")
_FIELDS: Final = {"name": str, "roles": dict, "settings": dict, "destinations": dict}


class Templates:
    """The endpoints, over a state. `customer` is the workspace's id."""

    def __init__(self, state: State, customer: str) -> None:
        self._state = state
        self._customer = customer

    def routes(self, routes: Routes) -> None:
        """Add them."""
        routes.add("GET /templates", self.list)
        routes.add("POST /templates", self.create)
        routes.add("GET /templates/{template_id}", self.get)
        routes.add("POST /templates/{template_id}", self.overwrite)
        routes.add("GET /templates/{template_id}/settings", self.settings)
        routes.add("POST /templates/{template_id}/settings", self.replace_settings)
        routes.add("GET /templates/{template_id}/recordings", self.recordings)
        routes.add("POST /templates/{template_id}/recordings", self.replace_recordings)

    def find(self, template_id: str) -> Json:
        """The template. Raises Refusal (404)."""
        try:
            return self._state.templates[template_id]
        except KeyError:
            raise not_found("template") from None

    def list(self, request: Request) -> Json:
        """All templates, paged."""
        return page(request, [public(template) for template in self._state.templates.values()])

    def get(self, request: Request, template_id: str) -> Json:
        """One template."""
        return public(self.find(template_id))

    def create(self, request: Request) -> Json:
        """A template; made by API, it has no subdomain, so that recordings need a `meeting_url`."""
        template = self.made(request.object())
        self._state.templates[template["id"]] = template
        return _as_sent(template)

    def overwrite(self, request: Request, template_id: str) -> Json:
        """Replace all fields of a template."""
        old = self.find(template_id)
        template = self.made(request.object())
        kept = {name: old[name] for name in old if name in ("id", "createdAt") or name.startswith("_")}
        self._state.templates[template_id] = {**template, **kept}
        return _as_sent(self._state.templates[template_id])

    def made(self, body: Json) -> Json:
        """A template from what a client sends, defaults filled in. Raises Refusal (400)."""
        check_types(body, _FIELDS)
        template_id, moment = new_id(), now()
        settings = {"region": "auto", "recording": None, **(body.get("settings") or {})}
        return {
            "id": template_id,
            "name": body.get("name") or f"new-template-{template_id[:8]}",
            "customerId": self._customer,
            "roles": body.get("roles") or {},
            "settings": _checked_settings(settings),
            "destinations": body.get("destinations") or {},
            "createdAt": moment,
            "updatedAt": moment,
            "_id": template_id,
            "customer": self._customer,
            "_subdomain": None,
            "_recordings": [],
        }

    def settings(self, request: Request, template_id: str) -> Json:
        """The settings, with `credentials.secret` and `retry`."""
        settings: Json = self.find(template_id)["settings"]
        return settings

    def replace_settings(self, request: Request, template_id: str) -> Json:
        """Replace the settings as a whole."""
        template = self.find(template_id)
        template["settings"] = _checked_settings(request.object())
        template["updatedAt"] = now()
        return self.settings(request, template_id)

    def recordings(self, request: Request, template_id: str) -> Any:
        """The recording configurations."""
        return self.find(template_id)["_recordings"]

    def replace_recordings(self, request: Request, template_id: str) -> Any:
        """Replace the recording configurations; only one is allowed. Flags that are false are left out of answers."""
        template = self.find(template_id)
        configs = request.json()
        if not isinstance(configs, list) or len(configs) > 1 or not all(_is_recording_config(c) for c in configs):
            raise Refusal(400, "Invalid recording configuration", "a list of one object with name and role is expected")
        template["_recordings"] = [_without_false(config) for config in configs]
        return template["_recordings"]


def _checked_settings(settings: Json) -> Json:
    check_types(settings, {"region": str, "retry": dict})
    if settings.get("region", "auto") not in _REGIONS:
        raise Refusal(400, "Error: region not supported")
    recording = settings.get("recording")
    if recording is not None and not isinstance(recording, dict):
        raise Refusal(400, "Invalid upload configuration")
    if recording and "upload" in recording:
        recording = {**recording, "upload": checked_upload(recording["upload"], "secretKey")}
    return {**settings, "recording": recording, "retry": settings.get("retry") or {}}


def _as_sent(template: Json) -> Json:
    """The template as the create page answers it: with `secretKey`, unlike the settings page."""
    recording = template["settings"]["recording"]
    upload = (recording or {}).get("upload")
    if not upload:
        return public(template)
    credentials = dict(upload["credentials"])
    credentials["secretKey"] = credentials.pop("secret")
    sent = {**recording, "upload": {**upload, "credentials": credentials}}
    return {**public(template), "settings": {**template["settings"], "recording": sent}}


def _is_recording_config(config: Any) -> bool:
    return isinstance(config, dict) and bool(config.get("name")) and bool(config.get("role"))


def _without_false(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: _without_false(inner) for name, inner in value.items() if inner is not False}
