"""From stored evidence to verdicts; nothing here touches a cluster."""
