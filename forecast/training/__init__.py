"""One way to train: settings, losses, the one LightningModule, and the net as a model."""
