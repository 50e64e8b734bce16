# What the figures share. Sizes are those of one column of a paper, 3.4 inches: the PNG has 309 pixels to the inch, the SVG 100 units.
# Given: STEM, FORMAT ('png', 'svg'), SWEEP, DATA, FLOPS_TEXT, METRIC, METRIC_LABEL. A script sets HEIGHT in inches and calls @OPEN.
# Colours: Okabe and Ito's for kinds of line, cividis (without its palest fifth) for sizes. Kinds also differ in dash and sizes in
# marker, so that grey print and colour-blind readers lose nothing.
set encoding utf8
WIDTH = 3.4
PIXELS = FORMAT eq 'png' ? 309 : 100
OPEN_PNG = "set terminal pngcairo enhanced size WIDTH*PIXELS,HEIGHT*PIXELS font 'DejaVu Sans,8' fontscale 4.2 linewidth 3.4 pointscale 2.6 dashlength 0.7 background '#ffffff'"
OPEN_SVG = "set terminal svg enhanced size WIDTH*PIXELS,HEIGHT*PIXELS font 'DejaVu Sans,sans-serif' fontscale 0.92 linewidth 1.1 dashlength 0.7 background '#ffffff'"
OPEN = FORMAT eq 'png' ? OPEN_PNG : OPEN_SVG
BLACK = '#000000'; BLUE = '#0072b2'; VERMILION = '#d55e00'; GREY = '#8c8c8c'; BAND = '#bcdcf0'
set palette defined (0 '#00204d', 0.125 '#00306f', 0.25 '#39486b', 0.375 '#575d6d', 0.5 '#707173', 0.625 '#8a8779', 0.75 '#a69d75', 0.875 '#c4b56c', 1 '#d5c164')
array MARKS[12] = [4, 6, 8, 12, 10, 5, 7, 9, 13, 11, 2, 1]
set border 3 linewidth 0.6
set tics nomirror scale 0.6
set grid xtics ytics linetype 1 linecolor rgb '#e4e4e4' linewidth 0.4
set logscale xy
set format x '10^{%T}'
set datafile separator '\t'
set datafile missing 'NaN'
set key noenhanced samplen 1.6 spacing 1.05 font ',7.5'
set title noenhanced font ',8' offset 0,-0.4
set xlabel sprintf("training compute C [FLOP, floating-point operations]\n%s", FLOPS_TEXT) noenhanced offset 0,0.2
# A logarithmic axis of less than two decades needs marks between its powers of ten.
FEW = "1 2 5"; MANY = "1 1.5 2 3 4 5 7"
marks(low, high) = high / low < 6 ? MANY : FEW
