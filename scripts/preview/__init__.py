"""The report on a preview.

    document ─▶ secrecy ─▶ changes ─▶ verdict ─▶ report (markdown)

`scripts.preview_diff` is the command.
"""
