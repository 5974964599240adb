"""The design system: layouts, tags and patterns that every page of both faces is made of."""
