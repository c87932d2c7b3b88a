"""Regressions: functions, formulas, pictures and equations, learned piece by piece."""
