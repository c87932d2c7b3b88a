"""The report: one HTML file with everything that results have to say, made of the same data as tables and figures."""
