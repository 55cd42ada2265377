"""From corpora to tables of files, speakers and labels; splits by speaker; sequences."""
