"""The Pulumi program: settings, the storage component, the stack outputs."""

import pulumi

from components.guards import check_place
from components.handover import check_handover
from components.settings import load_settings
from components.storage import declare_storage, stack_outputs
from recordings.errors import ConfigurationError

try:
    settings = load_settings()
    check_place(settings)
    check_handover(settings)
except ConfigurationError as error:
    raise pulumi.RunError(str(error)) from None

for name, value in stack_outputs(settings, declare_storage(settings)).items():
    pulumi.export(name, value)
