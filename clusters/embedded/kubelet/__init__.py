"""What a kubelet does, and no more: pods from the API run as processes."""
