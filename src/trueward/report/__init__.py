"""Reports: renders the documents of audits and of experiments; knows nothing of who made them.

- `document`: the document's types; `audit.schema.json`: its published schema.
- `terminal`, `html`: for readers. `wording` (findings, numbers) and `sentences` (searches, logs, comparisons, curves):
  the words that both use.
- `terminal_text`, `terminal_runs`: parts of `terminal`; `curve_terminal`: a curve as lines of text.
- `figures`, `charts`: the page's charts as SVG.
- `github`: annotations and the summary of a step, for GitHub Actions.
- `markdown`: audits as a page, every finding with the lines that show it; `python_source`: foreign text as literals.
- `experiment_document`: the types of an experiment's document; `experiment_file` reads it; `experiment_terminal`,
  `experiment_html`, `experiment_markdown`: for readers. `experiment_words`, `experiment_curves` (means and bands over
  seeds) and `experiment_figures`: what these share.
- `page`: style, script and policy of every HTML page.
- `contact_sheet`: many images on one sheet, as a PNG.
- `json_file`: reads and writes documents; `atomic`: files that appear whole or not at all.
- `escape`: makes foreign text visible and harmless; `embedded`: puts data into a page safely.
"""
