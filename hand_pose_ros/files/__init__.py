"""Files and texts from anywhere: read within bounds, written whole, and kept in the user's folders."""
