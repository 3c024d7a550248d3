#!/usr/bin/env bash
# Version:   rich 15.0.0
# Guess:     a table whose columns may all be folded (overflow="fold") and have room for it is folded until it fits the
#            console; the least width of one column makes the others narrower.
# Behaviour: the least width is added after the columns were made to fit, so that the table is wider than the console, and
#            the console cuts off what is right of it: no fold, no ellipsis, no border.
# Seen:      as below `EXPECTED`: the value of n_epochs is missing, and most of the first column is empty.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet rich==15.0.0

cat > program.py <<'PROGRAM'
from rich.box import ASCII
from rich.console import Console
from rich.table import Table

table = Table(box=ASCII)
table.add_column("RUN", min_width=20)
table.add_column("ARGUMENTS", overflow="fold")
table.add_row("first", "seed=3, n_epochs=30")
Console(width=34).print(table)
PROGRAM

cat > expected.txt <<'EXPECTED'
+---------------------------------
| RUN                  | ARGUMENTS
|----------------------+----------
| first                | seed=3,  
|                      | n_epochs=
+---------------------------------
EXPECTED
venv/bin/python program.py | tee seen.txt
diff expected.txt seen.txt
