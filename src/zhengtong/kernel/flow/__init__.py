"""Procedures as versioned data and the pure engine that runs them.

`definition` says what a procedure is, `state` what a running case is, `engine` how one action
changes it. Nothing here knows Django, a database or a clock.
"""
