"""Synthetic consultations, one after another: they keep a platform's indicators alive when nobody calls.

Each walk is a real consultation, shorter than that of a verification, and its requests say that they are synthetic.
"""
