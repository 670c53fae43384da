"""OUT: a study as one HTML file that people look at, with nothing else needed to open it.

The file holds the page (``page.html``, ``style.css`` and the scripts ``*.js``), plotly.js from the
installed package plotly, one line of every relaxation as plain JSON, and of each relaxation its
details, compressed apart, so that a browser unpacks only what is looked at.
"""
