"""Precision "fixed": integers in float64, which is exact below 2^53 (docs/fixed_point.md).

The compiled plan carries an input limit with which no sum can reach 2^53, whatever the data are, so matrix products and
convolutions in double precision give the integers, in any order of summation.  A decay is one product below
2^23·2^13, a division by a power of two and a truncation: all exact too.
"""
