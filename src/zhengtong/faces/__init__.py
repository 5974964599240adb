"""Shells that mount what capabilities register: office, public site, API, command line."""
