# P*(C) and N*(C), stacked. Given: LAW, ISOFLOP, VPNLS, ENVELOPE (what there is), each with _PARAMS and _EXAMPLES (exponents as text), NOTE
# (what is not drawn, and why) with NOTE_ROWS, BANDED, ISOFLOP_BANDED, AMONG and BEYOND (parts of the law's frontier lie among the sizes and data run, and beyond). Tables: STEM.tsv, STEM-isoflop.tsv.
KEY_HEIGHT = 0.145 * (1 + AMONG + BEYOND + BANDED + 2 * ISOFLOP + ISOFLOP_BANDED + VPNLS + ENVELOPE)
NOTE_HEIGHT = NOTE_ROWS > 0 ? 0.12 * NOTE_ROWS + 0.08 : 0
HEIGHT = TITLE_HEIGHT + 1.75 + 0.3 + KEY_HEIGHT + 0.15 + 1.75 + LABEL_HEIGHT + KEY_HEIGHT + 0.07 + NOTE_HEIGHT
@OPEN
set output STEM.'.'.FORMAT
set multiplot
eval SIDES
set format y '10^{%T}'
stats STEM.'.tsv' using 1 skip 1 nooutput
set xrange [STATS_min / 1.4:STATS_max * 1.4]
set key vertical maxcols 1 Left reverse
# A band is cut a decade beyond the lines and points: one of a fit that says little would leave no room for the rest.
extend(file, column) = sprintf("stats STEM.'%s.tsv' using %d skip 1 nooutput; LOW = LOW < STATS_min ? LOW : STATS_min; HIGH = HIGH > STATS_max ? HIGH : STATS_max; ", file, column)
set_range(column, vertex) = 'set autoscale y; LOW = 1e300; HIGH = 0; '.extend('', column + 8).(LAW ? extend('', column) : '').(ISOFLOP ? extend('', column + 3).extend('-isoflop', vertex) : '').'set yrange [LOW / 10 < * < LOW : HIGH < * < HIGH * 10]'
# A panel's columns: the law, its interval, the IsoFLOP line, its interval, the paper's line. One band is filled, the other outlined.
draw_band(column) = BANDED ? sprintf("STEM.'.tsv' using 1:%d:%d skip 1 with filledcurves linecolor rgb LAW_BAND fillstyle solid noborder title '95 %% interval of the parametric law at each C', ", column + 1, column + 2) : ''
draw_outline(column) = ISOFLOP_BANDED ? sprintf("for [edge = %d:%d] STEM.'.tsv' using 1:edge skip 1 with lines linewidth 0.6 linecolor rgb ISOFLOP_COLOUR title edge == %d ? '95 %% interval of IsoFLOP, between two lines' : '', ", column + 4, column + 5, column + 4) : ''
draw_among(column, side) = AMONG ? sprintf("STEM.'.tsv' using 1:($20 == 1 ? $%d : NaN) skip 1 with lines linewidth 1.8 linecolor rgb LAW_COLOUR title 'parametric: slope '.LAW_%s, ", column, side) : ''
draw_beyond(column, side) = BEYOND ? sprintf("STEM.'.tsv' using 1:($20 == 1 ? NaN : $%d) skip 1 with lines linewidth 1 dashtype (2,1.5) linecolor rgb LAW_COLOUR title AMONG ? 'the same beyond the sizes and data run' : 'parametric: slope '.LAW_%s, ", column, side) : ''
draw_line(column, side) = ISOFLOP ? sprintf("STEM.'.tsv' using 1:%d skip 1 with lines linewidth 1.1 dashtype (1.5,2) linecolor rgb ISOFLOP_COLOUR title 'IsoFLOP: slope '.ISOFLOP_%s, ", column + 3, side) : ''
draw_vpnls(column, side) = VPNLS ? sprintf("STEM.'.tsv' using 1:%d skip 1 with lines linewidth 1 dashtype (8,2,2,2) linecolor rgb BLACK title 'by projection: slope '.VPNLS_%s, ", column + 6, side) : ''
draw_envelope(column, side) = ENVELOPE ? sprintf("STEM.'.tsv' using 1:%d skip 1 with lines linewidth 1.1 dashtype (4,2) linecolor rgb '#009e73' title 'envelope: slope '.ENVELOPE_%s, ", column + 7, side) : ''
draw_vertices(column) = ISOFLOP ? sprintf("STEM.'-isoflop.tsv' using 1:%d skip 1 with points pointtype 7 pointsize 0.5 linecolor rgb ISOFLOP_COLOUR title 'best at one budget (IsoFLOP: equal compute)', ", column) : ''
draw_paper(column, slope) = sprintf("STEM.'.tsv' using 1:%d skip 1 with lines linewidth 1 dashtype (7,4) linecolor rgb GREY title 'slope reported in \"Scaling MLPs\" (2023): %s'", column + 8, slope)
panel(column, side, vertex, slope) = 'plot '.draw_band(column).draw_outline(column).draw_among(column, side).draw_beyond(column, side).draw_line(column, side).draw_vpnls(column, side).draw_envelope(column, side).draw_vertices(vertex).draw_paper(column, slope)

TOP = TITLE_HEIGHT
set tmargin at screen 1 - TOP / HEIGHT
set bmargin at screen 1 - (TOP + 1.75) / HEIGHT
set key at screen 0.03, screen 1 - (TOP + 1.75 + 0.25) / HEIGHT top left
set title TITLE
set ylabel 'optimal size P* [parameters]' offset Y_SHIFT,0
unset xlabel
eval set_range(2, 2)
eval panel(2, 'PARAMS', 2, '0.35')

TOP = TOP + 1.75 + 0.3 + KEY_HEIGHT + 0.15
unset title
set tmargin at screen 1 - TOP / HEIGHT
set bmargin at screen 1 - (TOP + 1.75) / HEIGHT
set key at screen 0.03, screen 1 - (TOP + 1.75 + LABEL_HEIGHT) / HEIGHT top left
set ylabel 'optimal data N* [examples]' offset Y_SHIFT,0
set xlabel X_LABEL noenhanced
eval set_range(11, 3)
if (NOTE_ROWS > 0) { set label 1 NOTE at screen 0.03, screen (NOTE_HEIGHT - 0.06) / HEIGHT left noenhanced font 'DejaVu Sans,7' }
eval panel(11, 'EXAMPLES', 3, '0.65')
unset multiplot
