"""Is a mathematical answer the same as its reference?"""
