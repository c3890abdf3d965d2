"""The programs that local regions are made of: pinned, fetched or built once, kept in the user's cache."""
