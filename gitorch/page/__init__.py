"""The page that `gitorch ui` serves on loopback, and `gitorch report` writes into one file.

Every view is a function from a request to a `View`, which is rendered as HTML, as JSON, as CSV, or
as a fragment that an open page receives when something has changed.
"""
