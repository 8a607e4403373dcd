"""The Pulumi project's components: settings, S3RecordingStorage, GcsRecordingStorage."""
