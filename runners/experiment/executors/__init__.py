"""How cells are spread: one after another here, over processes of this machine, or over the machines of a cluster."""
