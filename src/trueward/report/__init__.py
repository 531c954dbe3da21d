"""Reports: renders audit documents; knows nothing of who made them.

- `document`: the document's types; `audit.schema.json`: its published schema.
- `terminal`, `html`: for readers. `wording` (findings, numbers) and `sentences` (searches, logs, comparisons, curves):
  the words that both use.
- `terminal_text`, `terminal_runs`: parts of `terminal`. `figures`, `charts`: the page's charts as SVG.
- `json_file`: reads and writes documents; `atomic`: files that appear whole or not at all.
- `escape`: makes foreign text visible and harmless; `embedded`: puts data into a page safely.
"""
