"""Broken rules: each is to be noticed by the tests that mirror its module."""
