"""What Etude is measured against, each as its users would write it; run in processes of their own."""
