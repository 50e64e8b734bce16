# What the fitted law leaves, in per cent of each run's measure, against size, data and compute: three panels. Given: TYPICAL (root mean
# square). Table: STEM.tsv.
PANEL = 1.15
GAP = 0.48
KEY_HEIGHT = 0.145 * 2 + 0.08
HEIGHT = TITLE_HEIGHT + 3 * PANEL + 2 * GAP + LABEL_HEIGHT + KEY_HEIGHT
@OPEN
set output STEM.'.'.FORMAT
set multiplot
eval SIDES
stats STEM.'.tsv' using 5 skip 1 nooutput
REACH = 1.15 * (abs(STATS_min) > abs(STATS_max) ? abs(STATS_min) : abs(STATS_max))
REACH = REACH > 0 ? REACH : 1
# All that stats measures comes before the ranges, which it would obey.
array FIRST[3]; array LAST[3]
do for [i = 1:3] { stats STEM.'.tsv' using i skip 1 nooutput; FIRST[i] = STATS_min; LAST[i] = STATS_max }
unset logscale y
set yrange [-REACH:REACH]
set ylabel 'residual [%]' offset Y_SHIFT + 1,0
set format y '%g'
set ytics autofreq
array LABELS[3] = ['model size P [parameters]', 'data N [examples]', X_LABEL]
set title TITLE
TOP = TITLE_HEIGHT
do for [i = 1:3] {
    set tmargin at screen 1 - TOP / HEIGHT
    set bmargin at screen 1 - (TOP + PANEL) / HEIGHT
    set xlabel LABELS[i] noenhanced offset 0,0.3
    set xrange [FIRST[i] / 1.3:LAST[i] * 1.3]
    eval mark_axis('x', FIRST[i] / 1.3, LAST[i] * 1.3)
    if (i == 3) { set key at screen 0.03, screen KEY_HEIGHT / HEIGHT top left vertical maxcols 1 Left reverse } else { unset key }
    plot 0 with lines linewidth 0.7 linecolor rgb BLACK notitle, \
        STEM.'.tsv' using i:5 skip 1 with points pointtype 6 pointsize 0.35 linewidth 0.7 linecolor rgb ISOFLOP_COLOUR title 'predicted above measured, of each run', \
        TYPICAL with lines linewidth 0.7 dashtype (5,3) linecolor rgb LAW_COLOUR title sprintf('root mean square: %.2g %%', TYPICAL), \
        -TYPICAL with lines linewidth 0.7 dashtype (5,3) linecolor rgb LAW_COLOUR notitle
    unset title
    TOP = TOP + PANEL + GAP
}
unset multiplot
