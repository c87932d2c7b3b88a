"""What several strategies are made of: anchors, gradients, memories, local bases."""
