# Error against compute: every finished run, one marker and shade a size; the fitted frontier with its band; the lowest error so far.
# Given: RUNS, SIZES, SERIES (0: too many sizes for a legend), LABEL_1.., LAW, BANDED. Tables: STEM.tsv, STEM-law.tsv, STEM-envelope.tsv.
KEY_ROWS = SERIES > 0 ? ceil(SERIES / 3.0) : 0
HEIGHT = 3.05 + 0.13 * KEY_ROWS + (LAW ? 0.2 : 0)
@OPEN
set output STEM.'.'.FORMAT
stats STEM.'.tsv' using 5 skip 1 nooutput
LOW = STATS_min / 1.05; HIGH = STATS_max * 1.05
set yrange [LOW:HIGH]
if (HIGH / LOW < 100) {
    set ytics ()
    do for [e = floor(log10(LOW)):ceil(log10(HIGH))] {
        do for [m in marks(LOW, HIGH)] {
            VALUE = m * 10.0**e
            if (VALUE >= LOW && VALUE <= HIGH) { set ytics add (sprintf('%g', VALUE) VALUE) }
        }
    }
}
set title sprintf("%s on %s: %d runs of %d model sizes", SWEEP, DATA, RUNS, SIZES)
set ylabel METRIC_LABEL noenhanced
set key outside bottom center horizontal maxcols 3 width -1
unset colorbox
set cbrange [0:1]
shade(i) = SERIES > 1 ? (i - 1.0) / (SERIES - 1) : 0
BANDS = LAW && BANDED ? "plot STEM.'-law.tsv' using 1:3:4 skip 1 with filledcurves linecolor rgb BAND fillstyle solid noborder notitle, " : "plot "
if (SERIES == 0) {
    stats STEM.'.tsv' using (log10($2)) skip 1 name 'P' nooutput
    set cbrange [P_min:P_max]
    set colorbox horizontal user origin graph 0,1.03 size graph 1,0.02
    POINTS = "STEM.'.tsv' using 4:5:(log10($2)) skip 1 with points pointtype 7 pointsize 0.35 linecolor palette notitle, "
} else {
    POINTS = "for [i = 1:SERIES] STEM.'.tsv' using 4:(int($1) == i ? $5 : NaN) skip 1 with points pointtype MARKS[i] pointsize 0.45 linewidth 0.7 linecolor palette cb shade(i) notitle, "
}
NAMES = SERIES == 0 ? "" : "for [i = 1:SERIES] NaN with points pointtype MARKS[i] pointsize 0.45 linewidth 0.7 linecolor palette cb shade(i) title value(sprintf('LABEL_%d', i)), "
LINES = "STEM.'-envelope.tsv' using 1:2 skip 1 with steps linewidth 0.8 dashtype 3 linecolor rgb BLACK title 'lowest so far'"
if (LAW) { LINES = LINES.", STEM.'-law.tsv' using 1:2 skip 1 with lines linewidth 1.4 linecolor rgb BLUE title 'fitted frontier'" }
eval BANDS.POINTS.NAMES.LINES
