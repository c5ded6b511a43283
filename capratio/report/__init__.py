"""How a person sees a run: a tidy frame, tables, figures, one offline page and its Markdown twin.

Nothing here imports torch; pandas, seaborn, matplotlib and Jinja are imported by the modules that draw, never by this
one, so that the command line can ask for :mod:`capratio.report.tables` cheaply.
"""
