"""The six verbs, one file each. They never import each other: files are what they share."""
