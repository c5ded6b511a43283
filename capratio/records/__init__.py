"""What was measured: the file format that joins the producing half and the reading half; imports no torch.

``record`` has the data, ``codec`` one line, ``store`` a run's folder, ``case_id`` the names of cases, ``summary`` one
row a case, ``export`` CSV and Parquet, ``publish`` the compressed copy that goes beside a report.
"""
