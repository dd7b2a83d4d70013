"""How the page for an auditor looks: on light and dark screens, and on paper."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fbfaf7; --ink: #1d1d1b; --soft: #6a675f; --line: #dcd8cd; --card: #ffffff;
  --good: #1f6f43; --good-bg: #e4f2e9; --bad: #a4262c; --bad-bg: #fbe6e5; --open: #7a5a10; --open-bg: #f7efd8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16171a; --ink: #e9e7e1; --soft: #a09c92; --line: #34363c; --card: #1e2024;
    --good: #7fd3a3; --good-bg: #173526; --bad: #ff9a94; --bad-bg: #40201f; --open: #e6c77a; --open-bg: #38301a;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.55 system-ui, "Segoe UI", "Helvetica Neue", "DejaVu Sans", sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
h1 { font-size: 1.9rem; letter-spacing: -.01em; margin: 0; line-height: 1.2; }
h2 { font-size: 1.3rem; margin: 0; }
h3 { font-size: .8rem; margin: 1.8rem 0 .5rem; color: var(--soft); text-transform: uppercase; letter-spacing: .07em;
  font-weight: 600; }
p { margin: .5rem 0; max-width: 52rem; }
code { font: .92em ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.lead { font-size: 1.05rem; color: var(--soft); }
.verdicts { display: grid; grid-template-columns: repeat(auto-fill, minmax(15.5rem, 1fr)); gap: .75rem;
  margin: 1.6rem 0 0; padding: 0; max-width: none; list-style: none; }
.verdicts a { display: block; height: 100%; padding: .85rem 1rem; border: 1px solid var(--line); border-radius: .6rem;
  background: var(--card); color: inherit; text-decoration: none; }
.verdicts b { display: flex; flex-wrap: wrap; justify-content: space-between; align-items: baseline; gap: .2rem .5rem; }
.verdicts small { display: block; margin-top: .35rem; color: var(--soft); line-height: 1.4; }
.tag { font-size: .78rem; font-weight: 650; padding: .1rem .55rem; border-radius: 1rem; white-space: nowrap; }
.held { color: var(--good); background: var(--good-bg); }
.broken { color: var(--bad); background: var(--bad-bg); }
.open { color: var(--open); background: var(--open-bg); }
section { margin-top: 2rem; padding: 1.5rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .6rem; }
header.claim { display: flex; gap: .8rem; align-items: baseline; flex-wrap: wrap; }
.means { color: var(--soft); margin: .2rem 0 .8rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .84rem; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--soft); border-bottom: 1.5px solid var(--line); }
th, td { padding: .34rem .7rem .34rem 0; vertical-align: top; overflow-wrap: anywhere; }
td { border-bottom: 1px solid var(--line); }
tr:last-child td { border-bottom: 0; }
.number { text-align: right; overflow-wrap: normal; white-space: nowrap; }
td.no { color: var(--bad); font-weight: 650; }
td.yes { color: var(--good); }
ul { margin: .3rem 0; padding-left: 1.15rem; max-width: 54rem; }
li { margin: .22rem 0; }
.against { border-left: 3px solid var(--bad); padding: .1rem 0 .1rem 1rem; color: var(--bad); }
.unsafe { border-left: 3px solid var(--open); padding: .1rem 0 .1rem 1rem; }
dl { display: grid; grid-template-columns: minmax(9rem, max-content) 1fr; gap: .25rem 1.4rem; margin: .4rem 0;
  font-size: .88rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
footer { margin-top: 2rem; color: var(--soft); font-size: .85rem; }
@media print {
  :root { --paper: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #bbb; --good: #14532d; --good-bg: #fff;
    --bad: #8b0000; --bad-bg: #fff; --open: #5a4300; --open-bg: #fff; }
  @page { margin: 16mm 14mm; }
  body { font-size: 10pt; }
  main { max-width: none; padding: 0; }
  section { break-before: page; border: 0; padding: 0; margin: 0; }
  section.facts { break-before: auto; margin-top: 1.5rem; }
  .tag { border: 1px solid currentColor; }
  tr, li, .verdicts li { break-inside: avoid; }
  thead { display: table-header-group; }
  .scroll { overflow: visible; }
}
"""
