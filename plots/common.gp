# What the figures share. Sizes are those of one column of a paper, 3.4 inches; text is 8 point there. The PNG has 309 pixels to
# the inch, the SVG 100 units.
# Given: STEM, FORMAT ('png', 'svg', 'pdf'), TITLE and FLOPS (how compute is counted) with TITLE_ROWS and FLOPS_ROWS, METRIC_LABEL. A script sets HEIGHT in inches and says @OPEN.
# Colours: Okabe and Ito's for kinds of line, viridis without its palest fifth for sizes. Kinds also differ in dash and sizes in
# marker, so that grey print and colour-blind readers lose nothing.
set encoding utf8
WIDTH = 3.4
PIXELS = FORMAT eq 'png' ? 309 : 100
OPEN_PNG = "set terminal pngcairo enhanced size WIDTH*PIXELS,HEIGHT*PIXELS font 'DejaVu Sans,8' fontscale 3.15 linewidth 3.4 pointscale 3.4 dashlength 1.3 background '#ffffff'"
OPEN_SVG = "set terminal svg enhanced size WIDTH*PIXELS,HEIGHT*PIXELS font 'DejaVu Sans,8' fontscale 1.4 linewidth 1.1 dashlength 1.3 background '#ffffff'"
OPEN_PDF = "set terminal pdfcairo enhanced size WIDTH,HEIGHT font 'DejaVu Sans,8' fontscale 1 linewidth 1.1 pointscale 1.1 dashlength 1.3 background '#ffffff'"
OPEN = FORMAT eq 'png' ? OPEN_PNG : FORMAT eq 'pdf' ? OPEN_PDF : OPEN_SVG
BLACK = '#000000'; LAW_COLOUR = '#d55e00'; LAW_BAND = '#f7d3bb'; ISOFLOP_COLOUR = '#0072b2'; GREY = '#7f7f7f'
set palette defined (0 '#440154', 0.17 '#472d7b', 0.33 '#3b528b', 0.5 '#2c728e', 0.67 '#21918c', 0.83 '#28ae80', 1 '#7ad151')
unset colorbox
set cbrange [0:1]
array MARKS[12] = [4, 6, 8, 12, 10, 5, 7, 9, 13, 11, 2, 1]
shade(i) = SERIES > 1 ? (i - 1.0) / (SERIES - 1) : 0
set border 3 linewidth 0.6
set tics nomirror scale 0.6
set grid xtics ytics linetype 1 linecolor rgb '#e4e4e4' linewidth 0.4
set logscale xy
set format x '10^{%T}'
set datafile separator '\t'
set datafile missing 'NaN'
# The terminals measure the axis label's distance each in its own way.
Y_SHIFT = FORMAT eq 'svg' ? -0.6 : 0.3
set key noenhanced samplen 1.8 spacing 1.1
set title noenhanced offset 0,-0.5
X_LABEL = "training compute C [floating-point operations]\n".FLOPS
TITLE_HEIGHT = 0.13 + 0.15 * TITLE_ROWS
LABEL_HEIGHT = 0.44 + 0.14 * FLOPS_ROWS
set xlabel X_LABEL noenhanced offset 0,0.3
# Margins in inches, so that the page below the axes belongs to the legend alone.
SIDES = "set lmargin at screen 0.52 / WIDTH; set rmargin at screen 1 - 0.1 / WIDTH"
# A logarithmic axis of less than two decades needs marks between its powers of ten: mark_axis('x', from, to) and eval. Counts of a
# thousand and more are written with k, M, G as in the legends, so that they do not meet.
mark_steps(span) = span < 2.5 ? '1 1.2 1.4 1.6 1.8 2 2.25 2.5 3 3.5 4 4.5 5 6 7 8 9' : span < 6 ? '1 1.5 2 3 4 5 7' : '1 2 5'
mark_text(value) = value < 1e3 ? sprintf('%g', value) : value < 1e6 ? sprintf('%g k', value / 1e3) : value < 1e9 ? sprintf('%g M', value / 1e6) : value < 1e12 ? sprintf('%g G', value / 1e9) : gprintf('%.1t*10^{%T}', value)
MARK_STEPS = "do for [e = floor(log10(MARK_LOW)):ceil(log10(MARK_HIGH))] { do for [m in mark_steps(MARK_HIGH / MARK_LOW)] { MARK = m * 10.0**e; if (MARK >= MARK_LOW && MARK <= MARK_HIGH) { set %stics add (mark_text(MARK) MARK) } } }"
mark_axis(axis, low, high) = sprintf("if (%.17g / %.17g < 100) { set %stics (); MARK_LOW = %.17g; MARK_HIGH = %.17g; ", high, low, axis, low, high).sprintf(MARK_STEPS, axis)." } else { set ".axis."tics auto }"
MARK_AXIS = "eval mark_axis('y', LOW, HIGH)"
# A label along the y axis must not be longer than the axis: smaller type where it is, down to half.
label_font(text, inches) = sprintf('DejaVu Sans,%.2g', 8 * (strlen(text) * 0.054 <= inches ? 1 : strlen(text) * 0.054 >= 2 * inches ? 0.5 : inches / (strlen(text) * 0.054)))
