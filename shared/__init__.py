"""What every process of Etude uses: settings, SQL, storage, the life of a job. No Flask, no TensorFlow."""
