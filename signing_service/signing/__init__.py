"""The main job: sessions and batches, from documents to signatures at the level asked for."""
