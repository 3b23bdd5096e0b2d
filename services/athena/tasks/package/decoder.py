"""Reads the CSV file that Athena writes, in flytekit."""

from __future__ import annotations

import pandas
from flytekit.core.context_manager import FlyteContext
from flytekit.models import literals
from flytekit.types.structured.basic_dfs import CSVToPandasDecodingHandler, get_pandas_storage_options
from flytekit.types.structured.structured_dataset import StructuredDatasetMetadata, StructuredDatasetTransformerEngine


class CsvDecoder(CSVToPandasDecodingHandler):
    """Reads the CSV file that Athena writes. flytekit's own decoder reads `<uri>/.csv`, and no other name."""

    def decode(
        self,
        ctx: FlyteContext,
        flyte_value: literals.StructuredDataset,
        current_task_metadata: StructuredDatasetMetadata,
    ) -> pandas.DataFrame:
        if not flyte_value.uri.endswith(".csv"):
            return super().decode(ctx, flyte_value, current_task_metadata)
        declared = current_task_metadata.structured_dataset_type
        columns = [column.name for column in declared.columns] if declared and declared.columns else None
        options = get_pandas_storage_options(uri=flyte_value.uri, data_config=ctx.file_access.data_config)
        return pandas.read_csv(flyte_value.uri, usecols=columns, storage_options=options)


StructuredDatasetTransformerEngine.register(CsvDecoder(), override=True)
