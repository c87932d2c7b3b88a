"""Equations of the Feynman Symbolic Regression Database, as data.

Udrescu and Tegmark, "AI Feynman: a physics-inspired method for symbolic regression", Science Advances 6 (2020), eaay2631,
arXiv 1905.11481: a hundred equations of the Feynman Lectures on Physics, named by volume, chapter and equation, each variable
with the range from which it is drawn uniformly. Names and ranges are the published ones (the table ``FeynmanEquations.csv`` of
the database); the formulas are written here in the notation of :mod:`scenarios.tools.formula`.

Left out: equations that are another one's function once inputs and output are scaled (I.12.5 and I.39.1 are products like
I.12.1, II.8.31 is I.14.4, and so on), since two tasks that share one table of truth are one task; more products and quotients
of powers, of which there are many (I.12.2, II.11.20 and others), and two that differ from those here by one factor (I.18.14,
II.37.1); and III.9.52, which is undefined inside its range.
"""

import re
from dataclasses import dataclass
from functools import cached_property

from scenarios.tools.formula import Formula, parse


@dataclass(frozen=True)
class Equation:
    """One equation: its name, formula, and the range of every variable, in the order of the network's inputs."""

    name: str
    text: str
    ranges: dict[str, tuple[float, float]]

    @cached_property
    def formula(self) -> Formula:
        """The formula, to be called with one column for each variable."""
        return parse(self.text, list(self.ranges))


TABLE = """
I.6.2a    | exp(-theta^2/2) / sqrt(2*pi)                                  | theta 1 3
I.6.2     | exp(-(theta/sigma)^2/2) / (sqrt(2*pi)*sigma)                  | sigma theta 1 3
I.12.1    | mu*N                                                          | mu N 1 5
I.14.4    | k*x^2/2                                                       | k x 1 5
I.25.13   | q/C                                                           | q C 1 5
I.26.2    | asin(n*sin(theta))                                            | n 0 1, theta 1 5
I.29.4    | omega/c                                                       | omega c 1 10
II.3.24   | P / (4*pi*r^2)                                                | P r 1 5
II.11.28  | 1 + n*alpha/(1 - n*alpha/3)                                   | n alpha 0 1
II.38.14  | Y / (2*(1 + sigma))                                           | Y sigma 1 5
I.6.2b    | exp(-((theta - theta1)/sigma)^2/2) / (sqrt(2*pi)*sigma)       | sigma theta theta1 1 3
I.10.7    | m0 / sqrt(1 - v^2/c^2)                                        | m0 1 5, v 1 2, c 3 10
I.12.4    | q / (4*pi*epsilon*r^2)                                        | q epsilon r 1 5
I.14.3    | m*g*z                                                         | m g z 1 5
I.15.1    | m0*v / sqrt(1 - v^2/c^2)                                      | m0 1 5, v 1 2, c 3 10
I.16.6    | (u + v) / (1 + u*v/c^2)                                       | c v u 1 5
I.18.12   | r*F*sin(theta)                                                | r F 1 5, theta 0 5
I.27.6    | 1 / (1/d1 + n/d2)                                             | d1 d2 n 1 5
I.30.3    | I0 * sin(n*theta/2)^2 / sin(theta/2)^2                        | I0 theta n 1 5
I.30.5    | asin(wave/(n*d))                                              | wave 1 2, d 2 5, n 1 5
I.34.1    | omega / (1 - v/c)                                             | c 3 10, v 1 2, omega 1 5
I.34.14   | omega * (1 + v/c) / sqrt(1 - v^2/c^2)                         | c 3 10, v 1 2, omega 1 5
I.37.4    | I1 + I2 + 2*sqrt(I1*I2)*cos(delta)                            | I1 I2 delta 1 5
I.39.11   | p*V / (gamma - 1)                                             | gamma 2 5, p V 1 5
I.47.23   | sqrt(gamma*p/rho)                                             | gamma p rho 1 5
I.48.2    | m*c^2 / sqrt(1 - v^2/c^2)                                     | m 1 5, v 1 2, c 3 10
II.10.9   | sigma / (epsilon*(1 + chi))                                   | sigma epsilon chi 1 5
II.15.4   | -mom*B*cos(theta)                                             | mom B theta 1 5
II.24.17  | sqrt(omega^2/c^2 - pi^2/d^2)                                  | omega 4 6, c 1 2, d 2 4
II.27.16  | epsilon*c*E^2                                                 | epsilon c E 1 5
II.34.2a  | q*v / (2*pi*r)                                                | q v r 1 5
III.8.54  | sin(2*pi*E*t/h)^2                                             | E t 1 2, h 1 4
III.15.12 | 2*U*(1 - cos(k*d))                                            | U k d 1 5
III.15.14 | (h/(2*pi))^2 / (2*E*d^2)                                      | h E d 1 5
III.17.37 | beta*(1 + alpha*cos(theta))                                   | beta alpha theta 1 5
I.8.14    | sqrt((x2 - x1)^2 + (y2 - y1)^2)                               | x1 x2 y1 y2 1 5
I.13.4    | m*(v^2 + u^2 + w^2)/2                                         | m v u w 1 5
I.15.3x   | (x - u*t) / sqrt(1 - u^2/c^2)                                 | x 5 10, u 1 2, c 3 20, t 1 2
I.15.3t   | (t - u*x/c^2) / sqrt(1 - u^2/c^2)                             | x 1 5, c 3 10, u 1 2, t 1 5
I.18.4    | (m1*r1 + m2*r2) / (m1 + m2)                                   | m1 m2 r1 r2 1 5
I.24.6    | m*(omega^2 + omega0^2)*x^2/4                                  | m omega omega0 x 1 3
I.29.16   | sqrt(x1^2 + x2^2 - 2*x1*x2*cos(theta1 - theta2))              | x1 x2 theta1 theta2 1 5
I.32.5    | q^2*a^2 / (6*pi*epsilon*c^3)                                  | q a epsilon c 1 5
I.34.8    | q*v*B/p                                                       | q v B p 1 5
I.43.43   | kb*v / ((gamma - 1)*A)                                        | gamma 2 5, kb A v 1 5
I.50.26   | x1*(cos(omega*t) + alpha*cos(omega*t)^2)                      | x1 omega t alpha 1 3
II.6.15b  | 3*p*cos(theta)*sin(theta) / (4*pi*epsilon*r^3)                | epsilon p theta r 1 3
II.11.27  | epsilon*E*n*alpha / (1 - n*alpha/3)                           | n alpha 0 1, epsilon E 1 2
III.4.32  | 1 / (exp(h*omega/(2*pi*kb*T)) - 1)                            | h omega kb T 1 5
III.4.33  | h*omega/(2*pi) / (exp(h*omega/(2*pi*kb*T)) - 1)               | h omega kb T 1 5
III.10.19 | mom*sqrt(Bx^2 + By^2 + Bz^2)                                  | mom Bx By Bz 1 5
I.12.11   | q*(E + B*v*sin(theta))                                        | q E B v theta 1 5
I.13.12   | G*m1*m2*(1/r2 - 1/r1)                                         | m1 m2 r1 r2 G 1 5
I.41.16   | h*omega^3 / (2*pi^3*c^2*(exp(h*omega/(2*pi*kb*T)) - 1))       | omega T h kb c 1 5
I.44.4    | n*kb*T*log(V2/V1)                                             | n kb T V1 V2 1 5
II.2.42   | kappa*(T2 - T1)*A/d                                           | kappa T1 T2 A d 1 5
II.11.3   | q*E / (m*(omega0^2 - omega^2))                                | q E m 1 3, omega0 3 5, omega 1 2
II.21.32  | q / (4*pi*epsilon*r*(1 - v/c))                                | q epsilon r 1 5, v 1 2, c 3 10
II.35.18  | n0 / (exp(mom*B/(kb*T)) + exp(-mom*B/(kb*T)))                 | n0 kb T mom B 1 3
II.35.21  | n*mom*tanh(mom*B/(kb*T))                                      | n mom B kb T 1 5
III.14.14 | I0*(exp(q*V/(kb*T)) - 1)                                      | I0 1 5, q V kb T 1 2
III.19.51 | -m*q^4 / (2*(4*pi*epsilon)^2*(h/(2*pi))^2*n^2)                | m q h n epsilon 1 5
I.11.19   | x1*y1 + x2*y2 + x3*y3                                         | x1 x2 x3 y1 y2 y3 1 5
I.32.17   | epsilon*c*E^2/2 * 8*pi*r^2/3 * omega^4/(omega^2 - omega0^2)^2 | epsilon c E r omega 1 2, omega0 3 5
I.40.1    | n0*exp(-m*g*x/(kb*T))                                         | n0 m x T g kb 1 5
II.6.15a  | 3*p*z*sqrt(x^2 + y^2) / (4*pi*epsilon*r^5)                    | epsilon p r x y z 1 3
II.11.17  | n0*(1 + p*E*cos(theta)/(kb*T))                                | n0 kb T theta p E 1 3
II.36.38  | mom*H/(kb*T) + mom*alpha*M/(epsilon*c^2*kb*T)                 | mom H kb T alpha epsilon c M 1 3
I.9.18    | G*m1*m2 / ((x2 - x1)^2 + (y2 - y1)^2 + (z2 - z1)^2)           | m1 m2 G 1 2, x1 y1 z1 3 4, x2 y2 z2 1 2
"""
"""One equation a line, by number of variables and then by place in the book: name | formula | variables and their range."""


def _ranges(text: str) -> dict[str, tuple[float, float]]:
    """Read ``q v 1 5, c 3 10``: names, then the low and the high end that they share."""
    found: dict[str, tuple[float, float]] = {}
    for group in text.split(","):
        *names, low, high = group.split()
        found |= dict.fromkeys(names, (float(low), float(high)))
    return found


def _read() -> dict[str, Equation]:
    lines = (re.split(r"\s*\|\s*", line.strip()) for line in TABLE.strip().splitlines())
    return {name: Equation(name, text, _ranges(ranges)) for name, text, ranges in lines}


EQUATIONS = _read()
"""Equations by name."""
