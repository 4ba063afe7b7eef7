"""Who executes attempts: a contract, the engines that fulfil it, and a registry of their names."""
