# Training curves: of each size the run with the most examples in front, all others in grey behind.
# Given: RUNS, SERIES, LABEL_1... Table: STEM.tsv, a blank line after each curve, series 0 the ones behind.
KEY_ROWS = ceil(SERIES / 2.0)
HEIGHT = 3.1 + 0.13 * KEY_ROWS
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
set title sprintf("%s on %s: %d training runs", SWEEP, DATA, RUNS)
set ylabel METRIC_LABEL noenhanced
set key outside bottom center horizontal maxcols 2
unset colorbox
set cbrange [0:1]
shade(i) = SERIES > 1 ? (i - 1.0) / (SERIES - 1) : 0
plot STEM.'.tsv' using (int($1) == 0 ? $4 : NaN):5 skip 1 with lines linewidth 0.4 linecolor rgb '#c8c8c8' title 'all runs', \
    for [i = 1:SERIES] STEM.'.tsv' using (int($1) == i ? $4 : NaN):5 skip 1 with linespoints linewidth 1 pointtype MARKS[i] pointsize 0.35 pointinterval 4 linecolor palette cb shade(i) title value(sprintf('LABEL_%d', i))
