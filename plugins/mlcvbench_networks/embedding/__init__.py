"""Parts of networks that map an image to a point: batches of identities, losses of distances and of angles."""
