"""What VASP's files mean, whoever reads them: level of theory, ionic steps."""
