"""Who may write in a pair: standings, guards, and the rules by which a region fences itself."""
