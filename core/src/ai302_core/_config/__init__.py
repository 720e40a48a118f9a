"""The parts of `config`: layers, validation, lines of TOML, keys."""
