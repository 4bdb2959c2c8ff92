# SPDX-License-Identifier: Apache-2.0
# scripts/lib/deploy/table.sh - what is known of each node, as columns.
# shellcheck shell=bash

# Lines of cells with tabs between, the first of them the heads.  Cells that begin with FAIL or warn are
# coloured after they were padded.
table() {
    awk -F '\t' -v red="$RED" -v green="$GREEN" -v dim="$DIM" -v plain="$PLAIN" '
        { n = NF > n ? NF : n; for (i = 1; i <= NF; i++) { cell[NR, i] = $i; if (length($i) > width[i]) width[i] = length($i) } }
        END {
            for (r = 1; r <= NR; r++) {
                line = ""
                for (i = 1; i <= n; i++) {
                    text = sprintf("%-" width[i] "s", cell[r, i])
                    if (r == 1) text = dim text plain
                    else if (cell[r, i] ~ /^FAIL/) text = red text plain
                    else if (cell[r, i] == "ok") text = green text plain
                    line = line text (i < n ? "  " : "")
                }
                print line
            }
        }'
}
