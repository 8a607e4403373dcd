"""Guard rules: what a planned change to a recordings stack must not do, as pure functions over planned resources.

    resources, or a preview as JSON ─▶ plans ─▶ evaluation (rules, waivers) ─▶ findings

Called by the embedded engine (mandatory rules stop `up`), by the report on a preview, by tests, and by the CrossGuard
pack in `policy/pack`, which runs the rules that need no former state. Imports `recordings` alone, and of it nothing
that talks to anything.
"""
