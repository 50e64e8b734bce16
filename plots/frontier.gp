# P*(C) and N*(C), stacked. Given: LAW, BANDED, ISOFLOP, LAW_PARAMS, LAW_EXAMPLES, ISOFLOP_PARAMS, ISOFLOP_EXAMPLES (exponents as text).
# PARAMS_LOW, PARAMS_HIGH, EXAMPLES_LOW, EXAMPLES_HIGH (what the runs span). Tables: STEM.tsv, STEM-isoflop.tsv.
KEY_HEIGHT = 0.145 * (1 + 2 * LAW + BANDED + 2 * ISOFLOP)
HEIGHT = TITLE_HEIGHT + 1.75 + 0.3 + KEY_HEIGHT + 0.15 + 1.75 + LABEL_HEIGHT + KEY_HEIGHT + 0.07
@OPEN
set output STEM.'.'.FORMAT
set multiplot
eval SIDES
set format y '10^{%T}'
stats STEM.'.tsv' using 1 skip 1 nooutput
set xrange [STATS_min / 1.4:STATS_max * 1.4]
set key vertical maxcols 1 Left reverse
draw_band(column) = BANDED ? sprintf("STEM.'.tsv' using 1:%d:%d skip 1 with filledcurves linecolor rgb LAW_BAND fillstyle solid noborder title '95 %% interval of the parametric law at each C', ", column + 1, column + 2) : ''
was_run(p, n) = p >= PARAMS_LOW && p <= PARAMS_HIGH && n >= EXAMPLES_LOW && n <= EXAMPLES_HIGH
draw_law(column, side) = LAW ? sprintf("STEM.'.tsv' using 1:(was_run($2, $7) ? $%d : NaN) skip 1 with lines linewidth 1.8 linecolor rgb LAW_COLOUR title 'parametric: slope '.LAW_%s, STEM.'.tsv' using 1:(was_run($2, $7) ? NaN : $%d) skip 1 with lines linewidth 1 dashtype (2,1.5) linecolor rgb LAW_COLOUR title 'the same beyond the sizes and data run', ", column, side, column) : ''
draw_line(column, side) = ISOFLOP ? sprintf("STEM.'.tsv' using 1:%d skip 1 with lines linewidth 1.1 dashtype (1.5,2) linecolor rgb ISOFLOP_COLOUR title 'IsoFLOP: slope '.ISOFLOP_%s, ", column + 3, side) : ''
draw_vertices(column) = ISOFLOP ? sprintf("STEM.'-isoflop.tsv' using 1:%d skip 1 with points pointtype 7 pointsize 0.5 linecolor rgb ISOFLOP_COLOUR title 'best at one budget (IsoFLOP: equal compute)', ", column) : ''
draw_paper(column, slope) = sprintf("STEM.'.tsv' using 1:%d skip 1 with lines linewidth 1 dashtype (7,4) linecolor rgb GREY title 'slope reported in \"Scaling MLPs\" (2023): %s'", column + 4, slope)
panel(column, side, vertex, slope) = 'plot '.draw_band(column).draw_law(column, side).draw_line(column, side).draw_vertices(vertex).draw_paper(column, slope)

TOP = TITLE_HEIGHT
set tmargin at screen 1 - TOP / HEIGHT
set bmargin at screen 1 - (TOP + 1.75) / HEIGHT
set key at screen 0.03, screen 1 - (TOP + 1.75 + 0.25) / HEIGHT top left
set title TITLE
set ylabel 'optimal size P* [parameters]' offset Y_SHIFT,0
unset xlabel
eval panel(2, 'PARAMS', 2, '0.35')

TOP = TOP + 1.75 + 0.3 + KEY_HEIGHT + 0.15
unset title
set tmargin at screen 1 - TOP / HEIGHT
set bmargin at screen 1 - (TOP + 1.75) / HEIGHT
set key at screen 0.03, screen 1 - (TOP + 1.75 + LABEL_HEIGHT) / HEIGHT top left
set ylabel 'optimal data N* [examples]' offset Y_SHIFT,0
set xlabel X_LABEL noenhanced
eval panel(7, 'EXAMPLES', 3, '0.65')
unset multiplot
