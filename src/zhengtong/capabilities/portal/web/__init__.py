"""What people see: `pages` and `feeds` are baked by `bake`, `public` answers searches, `office`
is where officers review and withdraw."""
