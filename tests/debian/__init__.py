"""What needs a package of Debian that tools/debian installs; run by `make browser`."""
