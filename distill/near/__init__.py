"""Finds near copies among texts, and benchmark questions in them.

arrays         kinds of arrays, and the distinct values of one
words          normalised words and their hashes
grams          rolling hashes of word n-grams
sketch         MinHash: a few bytes a text
compare        exact similarity of two texts
clusters       which rows are near copies of a row that is kept
lookup         finds hashes in a fixed set
runs           the words of questions in texts
copies         near copies of whole questions
contamination  which texts hold benchmark questions
"""
