"""Who stands where: which records count, the rows they make, their order and what is shown and not ranked."""
